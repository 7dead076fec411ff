# Leads connections on to a port of 127.0.0.1, many at a time; prints the port where it listens.
# It ends with its input. Perl, because every Debian has it and a sandbox has no Python.
use strict;
use warnings;
use Errno;
use IO::Select;
use IO::Socket::INET;

my $target = shift;
my $door = IO::Socket::INET->new(Listen => 512) or die "no door: $@\n";
$| = 1;
print $door->sockport, "\n";
$SIG{PIPE} = "IGNORE";

my ($read, $write) = (IO::Select->new($door, \*STDIN), IO::Select->new);
# By socket: its other half, what that half has sent and this one not yet got, and how far its end is.
my (%peer, %unsent, %ends, %ended);

# Hang up so that the other end notices: a reset.
sub drop {
  setsockopt($_[0], SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
  close $_[0];
}

sub part {
  my ($how, @both) = @_;
  for (@both) { $read->remove($_); $write->remove($_) }
  delete @$_{@both} for \(%peer, %unsent, %ends, %ended);
  $how->($_) for @both;
}

sub lead_on {
  my $near = $door->accept or return;
  my $far = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $target)
    or return drop($near);
  @peer{$near, $far} = ($far, $near);
  for ($near, $far) { $_->blocking(0); $unsent{$_} = ""; $read->add($_) }
}

sub carry {
  my $from = shift;
  my $to = $peer{$from} or return;
  my $came = sysread($from, my $block, 65536);
  if (!defined $came) {
    part(\&drop, $from, $to) unless $!{EAGAIN};
    return;
  }
  $came ? ($unsent{$to} .= $block) : ($ends{$to} = 1);
  deliver($to);
}

sub deliver {
  my $to = shift;
  my $from = $peer{$to} or return;
  if (length $unsent{$to}) {
    my $sent = syswrite($to, $unsent{$to});
    return part(\&drop, $to, $from) unless defined $sent or $!{EAGAIN};
    substr($unsent{$to}, 0, $sent // 0, "");
  }
  if (length $unsent{$to}) { $write->add($to); $read->remove($from); return }
  $write->remove($to);
  if (!$ends{$to}) { $read->add($from); return }
  $read->remove($from);
  shutdown($to, 1);
  $ended{$to} = 1;
  part(sub { close $_[0] }, $to, $from) if $ended{$from};
}

while (1) {
  my ($readable, $writable) = IO::Select->select($read, $write);
  for my $one (@{$readable || []}) {
    if ($one == \*STDIN) { exit unless sysread(STDIN, my $ignored, 4096) }
    elsif ($one == $door) { lead_on() }
    else { carry($one) }
  }
  deliver($_) for @{$writable || []};
}
