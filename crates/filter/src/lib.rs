//! The filter language of Ringback: a leaf that knows no nouns. Pure, no_std.
#![forbid(unsafe_code)]
