/* The physical limit for bench/processes.py: sleeping processes, and a bare loop over files of /proc.
 *
 *   processes spawn N       start N sleeping children, print their pids, wait; they end with this process
 *   processes read FILE...  open, read and close /proc/PID/FILE for every pid; print files, bytes, seconds
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int spawn(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(STDOUT_FILENO);
			for (;;)
				pause();
		}
		printf("%d\n", pid);
	}
	puts("done");
	fflush(stdout);
	for (;;)
		pause();
}

static int read_all(int count, char **names)
{
	static char buffer[65536];
	char path[512];
	long files = 0, bytes = 0;
	struct timespec from, to;
	struct dirent *entry;

	clock_gettime(CLOCK_MONOTONIC, &from);
	DIR *proc = opendir("/proc");
	if (!proc) {
		perror("/proc");
		return 1;
	}
	while ((entry = readdir(proc))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		for (int i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "/proc/%s/%s", entry->d_name, names[i]);
			int file = open(path, O_RDONLY | O_CLOEXEC);
			if (file < 0)
				continue;
			ssize_t got = read(file, buffer, sizeof(buffer));
			if (got > 0)
				bytes += got;
			files++;
			close(file);
		}
	}
	closedir(proc);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%ld %ld %.6f\n", files, bytes, (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "spawn"))
		return spawn(atoi(argv[2]));
	if (argc > 2 && !strcmp(argv[1], "read"))
		return read_all(argc - 2, argv + 2);
	fprintf(stderr, "usage: processes spawn N | processes read FILE...\n");
	return 2;
}
