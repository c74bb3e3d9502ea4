! stencil.f90 - a five-point Jacobi iteration on a square grid, as stencil.c.
program stencil
   use example
   use omp_lib
   implicit none
   real(real64), allocatable :: a(:, :), b(:, :), want(:, :)
   real(real64) :: host_s, device_s
   integer(int64) :: bytes = 16*1024_int64**2
   integer :: reps = 10, n, r

   call begin(bytes, reps)
   n = int(sqrt(real(bytes, real64)/16))
   allocate (a(n, n), b(n, n), want(n, n))

   call start(a, b)
   host_s = -seconds()
   do r = 1, reps
      call sweep(omp_get_initial_device(), a, b)
      call sweep(omp_get_initial_device(), b, a)
   end do
   host_s = host_s + seconds()
   want = a

   call start(a, b)
   device_s = -seconds()
   !$omp target data map(tofrom: a) map(to: b)
   do r = 1, reps
      call sweep(omp_get_default_device(), a, b)
      call sweep(omp_get_default_device(), b, a)
   end do
   !$omp end target data
   device_s = device_s + seconds()
   call finish('stencil', bytes, reps, host_s, device_s, all(a == want))
contains
   subroutine start(a, b)
      real(real64), intent(out) :: a(:, :), b(:, :)
      integer :: i, j

      do j = 1, size(a, 2)
         do i = 1, size(a, 1)
            a(i, j) = mod(i + 3*j, 7)
         end do
      end do
      a(:, 1) = 100
      b = a
   end subroutine

   subroutine sweep(device, from, to)
      integer, intent(in) :: device
      real(real64), intent(in) :: from(:, :)
      real(real64), intent(inout) :: to(:, :)
      integer :: i, j

      !$omp target teams distribute parallel do collapse(2) device(device) map(to: from) map(tofrom: to)
      do j = 2, size(from, 2) - 1
         do i = 2, size(from, 1) - 1
            to(i, j) = 0.25_real64*(from(i - 1, j) + from(i + 1, j) + from(i, j - 1) + from(i, j + 1))
         end do
      end do
   end subroutine
end program
