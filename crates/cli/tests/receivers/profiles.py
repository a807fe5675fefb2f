"""Verifies webhooks of several profiles with published packages: `svix` and `stripe` of
those senders, `cryptography` for ed25519. Shopify's own document shows what is done here.

Reads cases as JSON from standard input, writes one line for each: `verified`,
or `refused`. Ends with 3 if a package isn't there.
"""

import base64
import hashlib
import hmac
import json
import sys

try:
    import stripe
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from svix.webhooks import Webhook, WebhookVerificationError
except ImportError as why:
    print(why, file=sys.stderr)
    sys.exit(3)


def of_svix(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


def of_stripe(secret, headers, body):
    try:
        stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], secret, 300)
        return True
    except stripe.SignatureVerificationError:
        return False


def of_shopify(secret, headers, body):
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest).decode(), headers["x-shopify-hmac-sha256"])


def of_ed25519(key, headers, body):
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for one in headers["webhook-signature"].split(" "):
        version, signature = one.split(",")
        if version == "v1a":
            try:
                public.verify(base64.b64decode(signature), signed)
                return True
            except InvalidSignature:
                pass
    return False


VERIFIERS = {"svix": of_svix, "stripe": of_stripe, "shopify": of_shopify, "ed25519": of_ed25519}

for case in json.load(sys.stdin):
    # The bytes exactly as they arrived, before any parsing.
    body = base64.b64decode(case["body"])
    good = VERIFIERS[case["profile"]](case["secret"], case["headers"], body)
    print("verified" if good else "refused")
