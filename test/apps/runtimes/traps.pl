# Perl: fork, socket pairs, sorting, regular expressions, and a handler for SIGSEGV that a kill reaches.
use strict;
use warnings;
use IO::Handle;
use Socket;
use POSIX ();
$| = 1;

my %count;
my $text = join ' ', map { my $n = $_ * 7919 % 10007; "word$n" } 1 .. 60000;
$count{$1}++ while $text =~ /(word\d+5)\b/g;
my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "words ", scalar(@sorted), " $sorted[0] $sorted[-1]\n";

my $sum = 0;
for my $i (1 .. 40) {
	socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
	my $pid = fork // die $!;
	if (!$pid) {
		close $a;
		my $got = do { local $/; <$b> };
		print $b length($got) * 2;
		close $b;
		POSIX::_exit($i);
	}
	close $b;
	print $a 'x' x (5000 * $i);
	$a->flush;
	shutdown $a, 1;
	$sum += do { local $/; <$a> };
	waitpid $pid, 0;
	$sum += $? >> 8;
}
print "children $sum\n";

my $caught = 0;
{
	local $SIG{SEGV} = sub { $caught++ };
	local $SIG{BUS} = sub { $caught += 1000 };
	for (1 .. 50) {
		kill SEGV => $$;
		kill BUS => $$;
	}
}
print "caught $caught\n";
my $pid = fork // die $!;
if (!$pid) {
	kill SEGV => $$;
	POSIX::_exit(1);
}
waitpid $pid, 0;
print "died of ", $? & 127, "\n";
print "backticks ", length(`seq 1 20000`), "\n";
my @big = map { "$_" x 20 } 1 .. 50000;
@big = reverse sort @big;
s/(\d)\1/<$1>/g for @big[0 .. 2000];
print "big $big[7] ", length(join '', @big), "\n";
exit 9;
