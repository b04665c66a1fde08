#![no_main]

// A decoder that panics is caught, and libFuzzer would end the program before. What is not caught still
// does.
distill_fuzz_engine::target!(recording, std::panic::set_hook(Box::new(|_| {})));
