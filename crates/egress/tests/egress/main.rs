//! The way out, tried against real sockets on loopback.
//!
//! The files are rooms of one program, since linking is what such tests cost.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod dns;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
