//! What bounds one try and what is kept between tries. Limits that the contract
//! shares with other crates are in `ringback_model::limits`.

use core::time::Duration;

/// Resolving the name.
pub const DNS_MAX: Duration = Duration::from_secs(2);
/// Connecting, all addresses together.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Addresses that are dialled, one after the other.
pub const ADDRESSES_DIALLED_MAX: usize = 4;
/// The TLS handshake.
pub const TLS_MAX: Duration = Duration::from_secs(5);
/// From the start of the request to the first byte of the answer.
pub const FIRST_BYTE_MAX: Duration = Duration::from_secs(15);

/// The head of an answer, in bytes; a longer one is a protocol error.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of an answer that are understood; more of them are a protocol error.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// Headers of an answer that are kept.
pub const HEADERS_KEPT_MAX: usize = 20;
/// Name and value of a header that is kept, each, in bytes.
pub const HEADER_KEPT_BYTES_MAX: usize = 256;

/// Idle connections to one destination.
pub const IDLE_PER_DESTINATION_MAX: usize = 32;
/// Idle connections in all.
pub const IDLE_MAX: usize = 1_024;
/// How long a connection stays idle before it is closed.
pub const IDLE_AGE_MAX: Duration = Duration::from_secs(30);
/// How long a connection is used: a receiver that moves is noticed by then.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
