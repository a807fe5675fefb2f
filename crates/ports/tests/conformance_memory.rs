//! The memory store keeps what `ports::store` says.

use ringback_ports::fake::MemoryStore;

ringback_ports::conformance::suite!(async || (MemoryStore::new(), ()));
