//! The apps of the recipes, `examples/recipes/`, as they stand there.

mod forward_auth;
mod packages;
mod react;
