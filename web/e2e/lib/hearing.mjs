// The page for somebody who does not see it: what a screen reader finds, by the browser's own protocol, and what it is
// told by itself.

/** Roles, names and levels of everything that is there, in the order of reading. */
export async function tree(page) {
  const protocol = await page.tab.context().newCDPSession(page.tab);
  const { nodes } = await protocol.send('Accessibility.getFullAXTree');
  await protocol.detach();
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const read = (node) => {
    const below = (node.childIds ?? []).flatMap((id) => (byId.has(id) ? read(byId.get(id)) : []));
    if (node.ignored) return below;
    const property = (name) => node.properties?.find((each) => each.name === name)?.value.value;
    const role = node.role?.value;
    return [{ role, name: node.name?.value ?? '', level: property('level'), focused: property('focused') === true, below }];
  };
  return new Tree(nodes.filter((node) => node.parentId === undefined).flatMap(read));
}

const LANDMARKS = ['banner', 'navigation', 'main', 'search', 'complementary', 'contentinfo'];

class Tree {
  #all;

  constructor(roots) {
    const flat = (each) => [each, ...each.below.flatMap(flat)];
    this.#all = roots.flatMap(flat);
  }

  of(...roles) {
    return this.#all.filter((each) => roles.includes(each.role));
  }

  /** Of what is in something else. */
  within(role, name) {
    return new Tree(this.#all.filter((each) => each.role === role && each.name === name));
  }

  get landmarks() {
    return this.of(...LANDMARKS).map(({ role, name }) => (name ? `${role} ${name}` : role));
  }

  /** Level and name. */
  get headings() {
    return this.of('heading').map(({ level, name }) => [level, name]);
  }

  get focused() {
    const { role, name } = this.#all.findLast((each) => each.focused) ?? {};
    return { role, name };
  }
}

/** What is read of an element that has no name of its own: the texts in it. */
export function spoken(node) {
  if (node.role === 'StaticText') return node.name;
  return node.below.map(spoken).filter(Boolean).join(' ');
}

/** Begins to write down what the page says by itself: what a screen reader reads out unasked. */
export function listen(page) {
  return page.tab.evaluate(() => {
    const LIVE = '[role=alert], [role=status], [aria-live=polite], [aria-live=assertive]';
    const said = (region) => {
      const copy = region.cloneNode(true);
      for (const mute of copy.querySelectorAll('[aria-hidden=true]')) mute.remove();
      return copy.textContent.replace(/\s+/g, ' ').trim();
    };
    const regions = () => [...document.querySelectorAll(LIVE)];
    const known = new Map(regions().map((region) => [region, region.textContent]));
    window.heard = [];
    window.hearing?.disconnect();
    window.hearing = new MutationObserver(() => {
      for (const region of regions()) {
        const before = known.get(region);
        if (region.textContent === before) continue;
        known.set(region, region.textContent);
        // A region that comes together with its text is read out only if it is an alert.
        const isRead = before !== undefined || region.getAttribute('role') === 'alert';
        if (isRead && said(region) !== '') window.heard.push(said(region));
      }
    });
    window.hearing.observe(document, { subtree: true, childList: true, characterData: true });
  });
}

/** Waits until this was said; everything that was said since `listen`. */
export async function heard(page, text) {
  await page.tab.waitForFunction((wanted) => window.heard.some((each) => each.includes(wanted)), text.trim());
  return page.tab.evaluate(() => window.heard);
}

/** A region with this role that says this. */
export function region(page, role, text) {
  return page.tab.getByRole(role).filter({ hasText: text });
}
