//! The apps of the recipes, `examples/recipes/`, as they stand there.

mod forward_auth;
mod leaving_jwt;
mod nginx;
mod packages;
mod react;
