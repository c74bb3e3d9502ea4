/* The library of local.c: its variable is found by __tls_get_addr. */
__thread int library_mine = 40;

int library_add(int n)
{
	library_mine += n;
	return library_mine;
}
