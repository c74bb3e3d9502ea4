// What the JVM does with SIGSEGV and with its address space: implicit null checks, stack overflow, collectors, direct
// buffers, threads, child processes. Output does not depend on time or addresses.
import java.io.*;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;

public class Traps {
	static class Node { int value; Node next; Node(int v, Node n) { value = v; next = n; } }

	// Compiled code has no check: the processor faults, HotSpot's handler makes it an exception.
	static long nulls(int rounds) {
		Node[] nodes = new Node[64];
		for (int i = 0; i < nodes.length; i += 2)
			nodes[i] = new Node(i, null);
		long sum = 0, caught = 0;
		for (int i = 0; i < rounds; i++) {
			try {
				sum += nodes[i & 63].value;
				sum += nodes[i & 63].next.value;
			} catch (NullPointerException e) {
				caught++;
			}
		}
		return sum * 31 + caught;
	}

	static int depth;
	static int recurse(int n) { depth = n; return recurse(n + 1) + 1; }

	static boolean overflow() {
		try {
			recurse(0);
			return false;
		} catch (StackOverflowError e) {
			return depth > 500;
		}
	}

	static long garbage(int seed, int rounds) {
		Map<Integer, byte[]> live = new HashMap<>();
		Random random = new Random(seed);
		long sum = 0;
		for (int i = 0; i < rounds; i++) {
			byte[] b = new byte[random.nextInt(8000) + 1];
			Arrays.fill(b, (byte) i);
			byte[] old = live.put(random.nextInt(2000), b);
			if (old != null)
				sum += old[old.length - 1] + old.length;
		}
		return sum;
	}

	static long direct() {
		long sum = 0;
		for (int i = 0; i < 200; i++) {
			ByteBuffer b = ByteBuffer.allocateDirect(1 << 18);
			for (int at = 0; at < b.capacity(); at += 4096)
				b.putInt(at, at ^ i);
			for (int at = 0; at < b.capacity(); at += 4096)
				sum += b.getInt(at);
		}
		return sum;
	}

	static String child() throws Exception {
		Process p = new ProcessBuilder("sh", "-c", "cat; exit 3").redirectErrorStream(true).start();
		try (OutputStream out = p.getOutputStream()) {
			for (int i = 0; i < 1000; i++)
				out.write(("line " + i + "\n").getBytes());
		}
		int lines = 0;
		try (BufferedReader in = new BufferedReader(new InputStreamReader(p.getInputStream()))) {
			while (in.readLine() != null)
				lines++;
		}
		return lines + " lines, exit " + p.waitFor();
	}

	public static void main(String[] args) throws Exception {
		System.out.println("nulls " + nulls(2_000_000));
		System.out.println("overflow " + overflow() + " " + overflow());
		ExecutorService pool = Executors.newFixedThreadPool(4);
		List<Future<Long>> results = new ArrayList<>();
		for (int i = 0; i < 8; i++) {
			final int seed = i;
			results.add(pool.submit(() -> garbage(seed, 60_000) + nulls(100_000)));
		}
		for (Future<Long> f : results)
			System.out.println("garbage " + f.get());
		pool.shutdown();
		Thread deep = new Thread(null, () -> System.out.println("overflow in a thread " + overflow()), "deep", 1 << 20);
		deep.start();
		deep.join();
		System.out.println("direct " + direct());
		System.out.println("child " + child());
		System.exit(args.length);
	}
}
