//! Checks against real servers: what each kind says of each situation, and what a hostile target gets out of it. Both print a
//! table; README.md beside this file has one of each.

mod attempts;
mod authority;
mod bed;
mod listeners;
mod table;

mod hostile;
mod kinds;
mod local;
mod services;
mod transport;
