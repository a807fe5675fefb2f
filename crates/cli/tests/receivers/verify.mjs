// Verifies webhooks with the published `standardwebhooks` package.
//
// Reads cases as JSON from standard input, writes one line for each: `verified`,
// or `refused`. Ends with 3 if the package isn't there. The first argument is a
// folder in whose `node_modules` it is looked for.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2] ?? "."), "from-here.js"));
let Webhook, WebhookVerificationError;
try {
  ({ Webhook, WebhookVerificationError } = require("standardwebhooks"));
} catch (why) {
  console.error(why.message.split("\n")[0]);
  process.exit(3);
}

for (const { secret, headers, body } of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    // The bytes exactly as they arrived, before any parsing.
    new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
    console.log("verified");
  } catch (why) {
    if (!(why instanceof WebhookVerificationError)) throw why;
    console.log("refused");
  }
}
