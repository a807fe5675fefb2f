//! A client of the Ringback API over TCP, TLS or a Unix socket.
#![forbid(unsafe_code)]
