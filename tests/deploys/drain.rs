//! What an instance does between SIGTERM and its end.
