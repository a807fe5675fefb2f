//! Complete fakes: the service runs on them.
