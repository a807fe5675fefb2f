// Verifies webhooks of several profiles with their senders' own packages, and those that
// are signed with ed25519 with the cryptography that Node brings.
//
// Reads cases as JSON from standard input, writes one line for each: `verified`,
// or `refused`. Ends with 3 if a package isn't there. The first argument is a
// folder in whose `node_modules` they are looked for.

import { createPublicKey, verify as verifyBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2] ?? ".");
const require = createRequire(join(folder, "from-here.js"));
let stripe, octokit;
try {
  const Stripe = require("stripe");
  stripe = new (Stripe.default ?? Stripe)("sk_test_nothing");
  // A package of modules only: `require` can't find its entry.
  const root = join(folder, "node_modules/@octokit/webhooks");
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  octokit = await import(pathToFileURL(join(root, exports["."].import ?? exports["."].default)).href);
} catch (why) {
  console.error(why.message.split("\n")[0]);
  process.exit(3);
}

const verifiers = {
  stripe(secret, headers, body) {
    try {
      stripe.webhooks.constructEvent(body, headers["stripe-signature"], secret);
      return true;
    } catch (why) {
      if (why.type !== "StripeSignatureVerificationError") throw why;
      return false;
    }
  },
  github(secret, headers, body) {
    const webhooks = new octokit.Webhooks({ secret });
    return webhooks.verify(body.toString("utf8"), headers["x-hub-signature-256"]);
  },
  ed25519(key, headers, body) {
    const x = Buffer.from(key.replace(/^whpk_/, ""), "base64").toString("base64url");
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), body]);
    return headers["webhook-signature"].split(" ").some((one) => {
      const [version, signature] = one.split(",");
      return version === "v1a" && verifyBytes(null, signed, publicKey, Buffer.from(signature, "base64"));
    });
  },
};

for (const { profile, secret, headers, body } of JSON.parse(readFileSync(0, "utf8"))) {
  const verifier = verifiers[profile];
  console.log((await verifier(secret, headers, Buffer.from(body, "base64"))) ? "verified" : "refused");
}
