// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does to a kernel of the lab what bugs do to kernels: insmod labfault.ko fault=NAME
 *
 * Each fault has a function of its own, so that it is known whom a report must blame.
 */
#include <linux/bug.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault = "";
module_param(fault, charp, 0444);

static int seconds = 40;
module_param(seconds, int, 0444);

static int megabytes = 64;
module_param(megabytes, int, 0444);

static noinline void labfault_null(void)
{
	volatile int *nowhere = NULL;

	*nowhere = 1;
}

static noinline void labfault_bug(void)
{
	BUG();
}

static noinline void labfault_warn(void)
{
	WARN(1, "labfault was told to warn\n");
}

static noinline int labfault_overflow(int depth)
{
	volatile char page[1024];

	page[depth % sizeof(page)] = depth;
	return labfault_overflow(depth + 1) + page[depth % sizeof(page)];
}

static noinline void labfault_spin(void)
{
	/* Not the clock of jiffies: it stands still when this is the only CPU. */
	int millisecond;

	for (millisecond = 0; millisecond < seconds * 1000; millisecond++)
		mdelay(1);
}

static noinline void labfault_softlockup(void)
{
	preempt_disable();
	labfault_spin();
	preempt_enable();
}

static DEFINE_MUTEX(labfault_mutex);

static noinline int labfault_hung(void *unused)
{
	mutex_lock(&labfault_mutex);
	mutex_unlock(&labfault_mutex);
	return 0;
}

static noinline void labfault_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	schedule_timeout_uninterruptible(1);
	spin_unlock(&lock);
}

static noinline void labfault_list(void)
{
	struct list_head head, item, other;

	INIT_LIST_HEAD(&head);
	list_add(&item, &head);
	item.next = &other;
	INIT_LIST_HEAD(&other);
	list_del(&item);
}

static noinline void labfault_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

struct labfault_leaked {
	struct list_head list;
	char bytes[2048 - sizeof(struct list_head)];
};

static LIST_HEAD(labfault_leaks);

static noinline int labfault_slab(void)
{
	struct labfault_leaked *leaked;
	int left;

	for (left = megabytes * 512; left > 0; left--) {
		leaked = kmalloc(sizeof(*leaked), GFP_KERNEL);
		if (!leaked || fatal_signal_pending(current))
			return -ENOMEM;
		list_add(&leaked->list, &labfault_leaks);
	}
	return 0;
}

static noinline void labfault_panic(void)
{
	panic("labfault was told to panic");
}

static int __init labfault_init(void)
{
	if (!strcmp(fault, "null"))
		labfault_null();
	else if (!strcmp(fault, "bug"))
		labfault_bug();
	else if (!strcmp(fault, "warn"))
		labfault_warn();
	else if (!strcmp(fault, "overflow"))
		return labfault_overflow(0) > 0;
	else if (!strcmp(fault, "softlockup"))
		labfault_softlockup();
	else if (!strcmp(fault, "hung")) {
		mutex_lock(&labfault_mutex);
		kthread_run(labfault_hung, NULL, "labfault-hung");
		ssleep(seconds);
		mutex_unlock(&labfault_mutex);
	} else if (!strcmp(fault, "atomic"))
		labfault_atomic();
	else if (!strcmp(fault, "list"))
		labfault_list();
	else if (!strcmp(fault, "refcount"))
		labfault_refcount();
	else if (!strcmp(fault, "slab"))
		return labfault_slab();
	else if (!strcmp(fault, "panic"))
		labfault_panic();
	else
		return -EINVAL;
	return 0;
}

static void __exit labfault_exit(void)
{
}

module_init(labfault_init);
module_exit(labfault_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults on demand, for machines of the lab");
