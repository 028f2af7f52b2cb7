// What is in view in a conversation, and where: functions for `evaluate`, which run in the page.

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
