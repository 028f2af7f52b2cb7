// How one reads in a long conversation: what is loaded, what is in view, and where.

/** The first and the last message that are loaded. */
export function loaded(page) {
  return page.tab.evaluate(ends);
}

/** Waits until others are loaded than were, or this one: a page may have come by itself since somebody looked. */
export function loadedOthers(page, before, text) {
  return page.tab.waitForFunction(
    ([old, wanted]) => {
      const all = [...document.querySelectorAll('[data-message]')];
      const is = (row) => row.querySelector('.bubble p')?.textContent === wanted;
      return `${all[0].dataset.message} ${all.at(-1).dataset.message}` !== old || all.some(is);
    },
    [before, text],
  );
}

function ends() {
  const all = document.querySelectorAll('[data-message]');
  return `${all[0].dataset.message} ${all[all.length - 1].dataset.message}`;
}

// What follows runs in the page, by `evaluate`.

/** The first message in view, and where it is. */
export function firstInView(pane) {
  const edge = pane.getBoundingClientRect().top;
  const bubbles = [...pane.querySelectorAll('[data-message] .bubble')];
  const bubble = bubbles.find((each) => each.getBoundingClientRect().top >= edge);
  return { id: bubble.closest('[data-message]').dataset.message, top: bubble.getBoundingClientRect().top - edge };
}

export function topOf(pane, id) {
  return pane.querySelector(`[data-message="${id}"] .bubble`).getBoundingClientRect().top - pane.getBoundingClientRect().top;
}
