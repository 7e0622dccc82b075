//! The Redis source against real servers. Without `redis-server` the tests say so and pass.

mod consuming;
mod dead;
mod fixture;
mod groups;
mod outages;
mod pressure;
mod restart;
mod server;
mod topology;
mod trimming;
