// How the page is let in: a one-time code in the fragment becomes a token, which stays with this origin.

const KEY = 'xchat.token';
/** Codes and tokens are short; what is longer is none. */
const MAX_LENGTH = 512;

export function token(): string | null {
  return localStorage.getItem(KEY);
}

export function forgetToken(): void {
  localStorage.removeItem(KEY);
}

/** Takes a parameter out of the fragment, and the fragment out of the address and its history. */
export function takeFragment(name: 'code' | 'invite'): string | null {
  const fragment = location.hash.slice(1);
  if (!fragment.startsWith(`${name}=`)) return null;
  history.replaceState(history.state, '', location.pathname + location.search);
  const value = fragment.slice(name.length + 1);
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Exchanges the code. Nothing else is sent with it, and it works once. */
export async function admit(code: string): Promise<'admitted' | 'wrong_code' | 'unreachable'> {
  if (code.length > MAX_LENGTH) return 'wrong_code';
  try {
    const response = await fetch('/v1/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
      cache: 'no-store',
    });
    if (!response.ok) return 'wrong_code';
    const { token } = (await response.json()) as { token: string };
    localStorage.setItem(KEY, token);
    return 'admitted';
  } catch {
    return 'unreachable';
  }
}
