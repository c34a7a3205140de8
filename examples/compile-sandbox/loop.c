/* Somebody else's program, too: it never ends. */
int main(void)
{
	for (;;)
		;
}
