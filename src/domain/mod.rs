//! Pure types and rules. A value of one of these types is proof that its rule
//! holds. Nothing in here performs I/O, reads a clock or draws a random number:
//! time and randomness are arguments.

pub mod access;
pub mod attempt;
pub mod audit;
pub mod belief;
pub mod cause;
pub mod client;
pub mod credential;
pub mod device;
pub mod digest;
pub mod email;
pub mod exchange;
pub mod finding;
pub mod id;
pub mod instance;
pub mod jwt;
pub mod keys;
pub mod link;
pub mod network;
pub mod page;
pub mod password;
pub mod revocation;
pub mod roster;
pub mod session;
pub mod target;
pub mod text;
pub mod time;
pub mod token;
pub mod user;
pub mod verdict;
pub mod view;
