//! Differentially private makers of data: generators, encoders and private condensation.
//!
//! Every method here computes from the records through noisy sums of clipped contributions only, and its result carries the event of
//! the releases that were really made; accountants ([`crate::privacy`]) turn it into an ε. Records are normalised with public constants; the number of
//! records and the class sizes count as public. Methods that work class by class sample each class by itself: a record is in one class, so
//! the classes' events compose in parallel.
