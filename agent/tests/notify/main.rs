//! Notifications against receivers of the tests' own: programs, pipes, a mail server and a hook, in good order and in bad.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod commands;
mod fixture;
mod hook;
mod lines;
mod mails;
mod smtp;
mod trouble;
mod webhooks;
