export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'xchat.theme';

function chosen(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'auto';
}

class ThemeChoice {
  choice = $state<Theme>(chosen());

  choose(choice: Theme): void {
    this.choice = choice;
    if (choice === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  }

  reload(): void {
    this.choice = chosen();
  }
}

export const theme = new ThemeChoice();
