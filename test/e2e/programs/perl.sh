# shellcheck shell=bash
command -v perl >/dev/null || { echo "perl is not installed"; exit 77; }
exec perl -e '
use strict; use warnings;
my %h; $h{$_ * 7919 % 100003} .= "v$_," for 1 .. 80000;
my $sum = 0; $sum += length $h{$_} for keys %h; print scalar(keys %h), " $sum\n";
my @s = sort { $a <=> $b } map { $_ * 16807 % 65537 } 1 .. 60000; print "@s[0 .. 4] $#s\n";
my $t = join " ", 1 .. 50000; my $n = () = $t =~ /\b(\d)\d*\1\b/g; print "$n\n";
my $pid = fork; if (!$pid) { print "child ", scalar(keys %h), "\n"; $| = 1; exit 3 } waitpid $pid, 0; print $? >> 8, "\n";
local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; my $x = sleep 5; print "woken\n";
open my $p, "-|", "seq 1 1000" or die; my @l = <$p>; close $p; print scalar(@l), "\n";
'
