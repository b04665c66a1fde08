#![no_main]

distill_fuzz_engine::target!(wave_file);
