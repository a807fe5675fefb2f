//! What runs by itself. A task takes no input: a wake-up is a hint, a timer makes
//! it true anyway, and running twice equals running once.

mod eraser;
mod filler;
mod pruner;
mod retention;
mod timers;

use crate::Service;

pub(crate) fn spawn(service: &Service) {
    tokio::spawn(timers::run(service.clone()));
    tokio::spawn(eraser::run(service.clone()));
    tokio::spawn(filler::run(service.clone()));
    tokio::spawn(pruner::run(service.clone()));
    tokio::spawn(retention::run(service.clone()));
}
