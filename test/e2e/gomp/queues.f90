! OpenACC from Fortran: a derived type with an allocatable component, data regions, kernels, queues that wait for each other,
! update, host_data, serial, a routine, reductions.
program queues
   use openacc
   implicit none
   type t
      real(8), allocatable :: a(:)
      integer :: n
   end type
   type(t) :: x
   real(8), allocatable :: u(:), w(:)
   real(8) :: s, last
   integer :: i, n

   n = 20000
   allocate (u(n), w(n), x%a(n))
   u = 1
   x%a = 3
   x%n = n
   s = 0
   !$acc enter data copyin(x)
   !$acc enter data copyin(x%a)
   !$acc data copy(u) create(w)
   !$acc parallel loop present(u, w, x)
   do i = 1, n
      w(i) = u(i)*2 + x%a(i)
   end do
   !$acc kernels present(u, w)
   do i = 1, n
      u(i) = more(w(i))
   end do
   !$acc end kernels
   !$acc parallel loop async(1)
   do i = 1, n
      u(i) = u(i) + 1
   end do
   !$acc parallel loop async(2) wait(1)
   do i = 1, n
      u(i) = u(i)*2
   end do
   !$acc wait
   !$acc update host(u(1:10))
   print *, u(5), acc_is_present(u)
   !$acc serial copyout(last)
   last = u(n)
   !$acc end serial
   !$acc parallel loop reduction(+:s)
   do i = 1, n
      s = s + u(i)
   end do
   !$acc end data
   !$acc exit data delete(x%a)
   !$acc exit data delete(x)
   print *, s, last, u(n)
contains
   real(8) function more(v)
      !$acc routine seq
      real(8), intent(in) :: v
      more = v + 1
   end function
end program
