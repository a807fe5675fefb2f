//! The decisions of Ringback: values in, values out.
#![forbid(unsafe_code)]
