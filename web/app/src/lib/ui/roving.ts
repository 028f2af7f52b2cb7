/** Arrow keys among the items of a list; above the first one is the field for searching. */
export function move(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-item]')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  if (event.altKey || event.ctrlKey || event.metaKey || at < 0) return;
  const targets: Partial<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
  const target = targets[event.key];
  if (target === undefined) return;
  event.preventDefault();
  if (target < 0) document.getElementById('search')?.focus();
  else items[target]?.focus();
}
