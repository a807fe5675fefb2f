"""What schemathesis should know of Ringback that no document can say."""

import os

import schemathesis

KEY_ID = os.environ.get("RINGBACK_TEST_KEY_ID")


def shorter(wait):
    """Who waits sees nothing that he wouldn't see at once; only the run takes longer."""
    try:
        return min(wait, 1) if isinstance(wait, int) and wait <= 60 else wait
    except TypeError:
        return wait


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query
    if isinstance(query, dict) and "wait" in query:
        query["wait"] = shorter(query["wait"])
    headers = case.headers
    if headers is not None and str(headers.get("Prefer", "")).startswith("wait="):
        headers["Prefer"] = "wait=1"
    if isinstance(case.body, dict) and "wait" in case.body:
        case.body["wait"] = shorter(case.body["wait"])
    # The key of this run has to last for it.
    path = case.path_parameters
    if case.operation.path == "/v1/keys/{id}" and case.method == "DELETE" and path.get("id") == KEY_ID:
        path["id"] = "key_00000000000000000000000000"
