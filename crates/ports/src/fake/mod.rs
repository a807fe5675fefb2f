//! Complete fakes: the service runs on them.
//!
//! None of them opens a socket or a file, asks a real clock or uses real chance,
//! so a test that runs on them twice does the same thing twice.

pub mod clock;
pub mod entropy;
pub mod resolver;
pub mod seal;
pub mod sender;
pub mod store;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use resolver::ScriptedResolver;
pub use seal::FakeSeal;
pub use sender::ScriptedSender;
pub use store::MemoryStore;
