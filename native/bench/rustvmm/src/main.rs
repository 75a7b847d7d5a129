//! The rows of ../access.c through vm-memory's `GuestMemoryMmap`; see there for what each row is.
//!
//!   cargo run --release --offline -- [-t SECONDS] [ROW...]     (in bench/rustvmm; Cargo.toml says what it needs)
//!
//! One row a line, "rustvmm ROW ns VALUE", nanoseconds an operation, measured as there.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::FromRawFd;
use std::time::Instant;
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const REGION: u64 = 64 * MIB;
const STEP: u64 = 0x4f1b8;

fn memfd(size: u64) -> File {
    // SAFETY: the name is a C string, and the descriptor is owned by the File alone.
    let file = unsafe {
        let fd = libc::memfd_create(b"memory\0".as_ptr().cast(), 0);
        assert!(fd >= 0, "memfd_create");
        File::from_raw_fd(fd)
    };
    file.set_len(size).expect("set_len");
    file
}

#[inline(never)]
fn read8(memory: &GuestMemoryMmap, window: u64, position: &mut u64, count: u64) {
    let mut offset = *position;
    let mut sum = 0u64;
    for _ in 0..count {
        sum = sum.wrapping_add(memory.read_obj::<u64>(GuestAddress(offset)).unwrap());
        offset = (offset + STEP) & (window - 8);
    }
    *position = offset;
    black_box(sum);
}

#[inline(never)]
fn write8(memory: &GuestMemoryMmap, window: u64, position: &mut u64, count: u64) {
    let mut offset = *position;
    for i in 0..count {
        memory.write_obj(i, GuestAddress(offset)).unwrap();
        offset = (offset + STEP) & (window - 8);
    }
    *position = offset;
}

#[inline(never)]
fn copy_out(memory: &GuestMemoryMmap, buffer: &mut [u8], count: u64) {
    for i in 0..count {
        let address = GuestAddress((i & 15) * buffer.len() as u64);
        memory.read_slice(buffer, address).unwrap();
        black_box(&mut *buffer);
    }
}

#[inline(never)]
fn copy_in(memory: &GuestMemoryMmap, buffer: &[u8], count: u64) {
    for i in 0..count {
        let address = GuestAddress((i & 15) * buffer.len() as u64);
        memory.write_slice(black_box(buffer), address).unwrap();
    }
}

#[inline(never)]
fn lookup_read8(memory: &GuestMemoryMmap, addresses: &[GuestAddress; 4096], count: u64) {
    let mut sum = 0u64;
    for i in 0..count {
        let address = addresses[(i % 4096) as usize];
        sum = sum.wrapping_add(memory.read_obj::<u64>(address).unwrap());
    }
    black_box(sum);
}

struct Rows {
    seconds: f64,
    wanted: Vec<String>,
}

impl Rows {
    fn asked(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|row| row == name)
    }

    fn row(&self, name: &str, mut operation: impl FnMut(u64)) {
        if !self.asked(name) {
            return;
        }
        let mut count = 16;
        loop {
            let start = Instant::now();
            operation(count);
            if start.elapsed().as_secs_f64() > 0.25e-3 {
                break;
            }
            count *= 2;
        }
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < self.seconds / 5.0 {
            operation(count);
        }
        let mut results = Vec::new();
        let start = Instant::now();
        while results.len() < 9 || start.elapsed().as_secs_f64() < self.seconds {
            let began = Instant::now();
            operation(count);
            results.push(began.elapsed().as_secs_f64() * 1e9 / count as f64);
        }
        results.sort_by(f64::total_cmp);
        println!("rustvmm {name} ns {:.2}", results[results.len() / 2]);
    }
}

fn lookup(rows: &Rows, regions: u64) {
    let name = format!("lookup_read8_{regions}");
    if !rows.asked(&name) {
        return;
    }
    let file = memfd(regions * REGION);
    let ranges = (0..regions).map(|i| {
        let offset = FileOffset::new(file.try_clone().unwrap(), i * REGION);
        (GuestAddress(i * (TIB / regions)), REGION as usize, Some(offset))
    });
    let memory = GuestMemoryMmap::<()>::from_ranges_with_files(ranges).expect("regions");
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let addresses = std::array::from_fn(|_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let address = GuestAddress(((x >> 32) % regions) * (TIB / regions) + (x % REGION & !7));
        memory.write_obj(x, address).unwrap();
        address
    });
    rows.row(&name, |n| lookup_read8(&memory, &addresses, n));
}

fn main() {
    let mut rows = Rows { seconds: 1.0, wanted: std::env::args().skip(1).collect() };
    if rows.wanted.len() > 1 && rows.wanted[0] == "-t" {
        rows.seconds = rows.wanted[1].parse().expect("seconds");
        rows.wanted.drain(..2);
    }
    let size = 64 * MIB;
    let offset = FileOffset::new(memfd(size), 0);
    let ranges = [(GuestAddress(0), size as usize, Some(offset))];
    let memory = GuestMemoryMmap::<()>::from_ranges_with_files(&ranges).expect("memory");
    for i in 0..size / MIB {
        memory.write_slice(&[1; MIB as usize], GuestAddress(i * MIB)).unwrap();
    }
    let mut at = 0;
    rows.row("read8", |n| read8(&memory, 32 << 10, &mut at, n));
    rows.row("write8", |n| write8(&memory, 32 << 10, &mut at, n));
    rows.row("read8_64MiB", |n| read8(&memory, 64 * MIB, &mut at, n));
    rows.row("write8_64MiB", |n| write8(&memory, 64 * MIB, &mut at, n));
    for (name, size) in [("4KiB", 4096), ("1MiB", MIB as usize)] {
        let mut buffer = vec![0; size];
        rows.row(&format!("copy_out_{name}"), |n| copy_out(&memory, &mut buffer, n));
        rows.row(&format!("copy_in_{name}"), |n| copy_in(&memory, &buffer, n));
    }
    lookup(&rows, 16);
    lookup(&rows, 1024);
}
