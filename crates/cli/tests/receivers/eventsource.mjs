// Follows a stream with the published `eventsource` package, as a browser's own would.
//
// Arguments: a folder in whose `node_modules` the package is looked for, the URL, and
// how many events to read. Writes `open` for each connection, and `event <id>` for
// each event. Ends with 3 if the package isn't there, and with 1 on anything that
// `JSON.parse` does not take.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [folder = ".", url, count] = process.argv.slice(2);
const require = createRequire(join(resolve(folder), "from-here.js"));
let EventSource;
try {
  ({ EventSource } = require("eventsource"));
} catch (why) {
  console.error(why.message.split("\n")[0]);
  process.exit(3);
}

let left = Number(count);
const source = new EventSource(url);
source.onopen = () => console.log("open");
source.onmessage = ({ data }) => {
  console.log(`event ${JSON.parse(data).id}`);
  left -= 1;
  if (left === 0) source.close();
};
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) {
    console.error("it gave up");
    process.exit(1);
  }
};
