//! The log in PocketBase.
