"""Verifies webhooks with the published `standardwebhooks` package.

Reads cases as JSON from standard input, writes one line for each: `verified`,
or `refused`. Ends with 3 if the package isn't there.
"""

import base64
import json
import sys

try:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError as why:
    print(why, file=sys.stderr)
    sys.exit(3)

for case in json.load(sys.stdin):
    # The bytes exactly as they arrived, before any parsing.
    body = base64.b64decode(case["body"])
    try:
        Webhook(case["secret"]).verify(body, case["headers"])
        print("verified")
    except WebhookVerificationError:
        print("refused")
