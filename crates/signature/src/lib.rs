//! Standard Webhooks: sign and verify. Usable alone by receivers.
#![forbid(unsafe_code)]
