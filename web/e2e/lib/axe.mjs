// axe, run in the page by the browser's protocol: the page's policy lets no script of others in.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WANTED = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds, in words; empty if nothing. */
export async function findings(page) {
  const protocol = await page.context().newCDPSession(page);
  const { result: there } = await protocol.send('Runtime.evaluate', { expression: 'typeof axe', returnByValue: true });
  if (there.value === 'undefined') await protocol.send('Runtime.evaluate', { expression: source });
  const { result } = await protocol.send('Runtime.evaluate', {
    expression: `axe.run(document, { runOnly: ${JSON.stringify(WANTED)}, resultTypes: ['violations'] })
      .then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
        nodes.map(({ target, failureSummary }) => [id, help, target.join(' '), failureSummary].join(' | '))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  await protocol.detach();
  return result.value;
}
