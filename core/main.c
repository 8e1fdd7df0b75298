/*
 * The executable: everything it does is in libposthouse, so that modules and the daemon share it.
 */
int posthouse_main(int argc, char **argv);

int
main(int argc, char **argv)
{
	return posthouse_main(argc, argv);
}
