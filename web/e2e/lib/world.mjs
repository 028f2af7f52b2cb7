/** What all tests share; set before the first of them. */
export const world = { network: undefined, browser: undefined };
