# gmem.gdb - for gdb on a program that runs under GMEM: gdb -x gmem.gdb --args program, or
# `source` it. Page faults and dispatched system calls are signals of ours, and no news; a SIGSEGV
# outside the window stops as always.
handle SIGSEGV nostop noprint pass
handle SIGSYS nostop noprint pass
handle SIG33 nostop noprint pass

# The window (docs/architecture.md). Where it could not be had, another base stands in
# /proc/PID/maps: of the one large reservation.
set $gmem_base = 0x200000000000
set $gmem_bytes = 0x40000000000
catch signal SIGSEGV
condition $bpnum (unsigned long)$_siginfo._sifields._sigfault.si_addr - $gmem_base >= $gmem_bytes

define gmem-home
  if $argc != 2
    help gmem-home
  else
    set scheduler-locking on
    if (int)gmi_cpu_make_resident((unsigned long)($arg0), (unsigned long)($arg1), 0) == 0
      printf "at home: %lu bytes at %p\n", (unsigned long)($arg1), (void *)($arg0)
    else
      printf "they cannot come home\n"
    end
    set scheduler-locking off
  end
end
define gmem-gcore
  set scheduler-locking on
  if !(char)gmi_all_home(0)
    printf "not all pages came home\n"
  end
  call (void)gmi_window_dumped(0)
  if $argc == 1
    gcore $arg0
  else
    gcore
  end
  call (void)gmi_window_dumped(1)
  set scheduler-locking off
end
document gmem-gcore
gmem-gcore [FILE]: gcore of a program under GMEM: all pages come home before, and the window's
reserved addresses (4 TiB) are left out.
end
document gmem-home
gmem-home ADDRESS BYTES: brings pages home, so that print, x and dump show what the program
would read. gdb reads memory past the program's page faults: of a page that a device has, it sees
zeros or old bytes. Only the current thread runs meanwhile. If it was stopped inside GMEM itself,
interrupt with Ctrl-C, go on a little, and try again.
end
