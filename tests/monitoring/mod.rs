//! What the service tells of how it does, and what is made of it: the program itself on
//! PostgreSQL and Redis, with a real Prometheus that collects from it.

mod events;
mod expressions;
mod instance;
mod listener;
mod prometheus;
mod scrape;
