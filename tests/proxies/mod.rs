//! Forward-auth through real proxies, with the files of `deploy/`: the same cases for
//! all of them.

mod binaries;
mod client;
mod passing;
mod proxy;
mod scene;
mod tricks;
mod upstream;
