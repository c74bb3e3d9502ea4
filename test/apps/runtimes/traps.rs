// Rust's standard library: guard pages with a message of its own, unwinding, threads, commands, and mmap by FFI.
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{mpsc, Arc, Mutex};
use std::{env, panic, thread};

extern "C" {
    fn mmap(addr: *mut c_void, len: usize, prot: i32, flags: i32, fd: i32, off: i64) -> *mut c_void;
    fn mprotect(addr: *mut c_void, len: usize, prot: i32) -> i32;
    fn munmap(addr: *mut c_void, len: usize) -> i32;
}

fn numbers(n: usize, seed: u64) -> Vec<u64> {
    let mut x = seed | 1;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        })
        .collect()
}

fn sorted(seed: u64) -> u64 {
    let mut v = numbers(200_000, seed);
    v.sort();
    let mut w = numbers(200_000, seed);
    w.sort_unstable_by(|a, b| b.cmp(a));
    assert!(v.iter().eq(w.iter().rev()));
    v[100_000]
}

#[allow(unconditional_recursion)]
fn overflow(n: u64) -> u64 {
    let a = [n; 64];
    std::hint::black_box(&a);
    overflow(n + 1) + a[(n % 64) as usize]
}

fn threads() -> u64 {
    let (tx, rx) = mpsc::channel();
    let words = Arc::new(Mutex::new(HashMap::new()));
    let all: Vec<_> = (0..8u64)
        .map(|i| {
            let (tx, words) = (tx.clone(), words.clone());
            thread::spawn(move || {
                for n in numbers(2000, i + 7) {
                    *words.lock().unwrap().entry(format!("word {}", n % 100)).or_insert(0u64) += 1;
                }
                tx.send(sorted(i + 1)).unwrap();
            })
        })
        .collect();
    for t in all {
        t.join().unwrap();
    }
    drop(tx);
    let counts: BTreeMap<_, _> = words.lock().unwrap().clone().into_iter().collect();
    rx.iter().fold(counts.values().sum(), |a, b| a ^ b)
}

fn raw() -> u64 {
    unsafe {
        let p = mmap(std::ptr::null_mut(), 64 << 20, 0, 0x4022, -1, 0) as *mut u8; // reserved only
        let mut sum = 0;
        for i in 0..16usize {
            let at = p.add(i << 22);
            assert_eq!(mprotect(at as *mut c_void, 1 << 20, 3), 0);
            for off in (0..1 << 20).step_by(4096) {
                *at.add(off) = i as u8;
            }
            sum += (0..1 << 20).step_by(4096).map(|off| *at.add(off) as u64).sum::<u64>();
        }
        munmap(p as *mut c_void, 64 << 20);
        sum
    }
}

fn child(how: &str) -> String {
    let out = Command::new(env::current_exe().unwrap()).arg(how).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    format!("{:?} {:?} {}", out.status.code(), out.status.signal(), text.contains("has overflowed its stack"))
}

fn main() {
    match env::args().nth(1).as_deref() {
        Some("overflow") => println!("{}", overflow(0)),
        Some("thread") => println!("{}", thread::spawn(|| overflow(0)).join().unwrap()),
        Some(_) => std::process::abort(),
        None => {}
    }
    if env::args().len() > 1 {
        return;
    }
    println!("sorted {}", sorted(3));
    println!("threads {}", threads());
    println!("mmap {}", raw());
    panic::set_hook(Box::new(|_| {}));
    let caught = (0..1000usize).filter(|&i| panic::catch_unwind(|| numbers(i, 1)[i]).is_err()).count();
    println!("caught {}", caught);
    for how in ["overflow", "thread", "abort"] {
        println!("{}: {}", how, child(how));
    }
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = cat.stdin.take().unwrap();
    let feeder = thread::spawn(move || to.write_all(&vec![b'x'; 500_000]).unwrap());
    println!("cat {}", cat.wait_with_output().unwrap().stdout.len());
    feeder.join().unwrap();
}
