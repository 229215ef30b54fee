//! Claims about groups, each with real cryptography and a database in memory.

mod commits;
mod credentials;
mod ephemerals;
mod evidence;
mod key_packages;
mod messages;
mod roles;
mod storage;
mod world;
