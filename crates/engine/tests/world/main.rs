//! Engines talking over an ideal network of boxes, on virtual time: linearizable registers, random
//! delays, reordering, duplicated deliveries, crashes that lose everything but the database.

mod people;
mod rejoin;
mod scenarios;
